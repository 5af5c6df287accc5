"""How do the results of all tokenizers read beside each other and beside the paper?"""

from structtokenbench.report.writing import write_report

__all__ = ["write_report"]
