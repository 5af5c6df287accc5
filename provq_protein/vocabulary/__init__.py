"""The ids and texts under which language models take structure tokens."""
