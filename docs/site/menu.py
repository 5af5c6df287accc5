"""In which order are the pages of the site read?"""

from fnmatch import fnmatch

# Captions of the menu, and the pages below them; patterns take what no name before them took.
MENU = {
    "Learn": ["notebooks/first_tokens", "notebooks/*"],
    "Use": [
        "inputs",
        "outputs",
        "scaling",
        "language_models",
        "reports",
        "models",
        "peers_weights",
        "complexes",
        "dynamics",
        "interop",
        "training",
        "structtokenbench",
        "vision",
        "reproducing_images",
    ],
    "Look up": [
        "residue_contract",
        "formats",
        "quantizers",
        "glossary",
        "notation",
        "known_issues",
        "model_card",
        "sample_structures",
    ],
    "Judge": ["comparison", "results/*"],
    "Contribute": ["architecture", "contributing", "security", "changelog", "adr/*"],
}
_REFERENCE = "Reference"


def with_menu(index: str, pages: list[str], reference: list[str]) -> str:
    """
    Add the menu of all pages to the first one.

    Parameters
    ----------
    index : str
        The first page.
    pages : list of str
        Staged documents, without endings.
    reference : list of str
        Pages of the reference.

    Returns
    -------
    str
        The page with its menu. A document that the menu does not name is in none, of which
        Sphinx warns.
    """
    rest = [page for page in pages if page != "index"]
    captions: dict[str, list[str]] = {}
    for caption, patterns in MENU.items():
        captions[caption] = []
        for pattern in patterns:
            found = [page for page in rest if fnmatch(page, pattern)]
            captions[caption] += found
            rest = [page for page in rest if page not in found]
    captions[_REFERENCE] = reference
    trees = [
        "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *names, "```"])
        for caption, names in captions.items()
        if names
    ]
    return "\n\n".join([index.rstrip(), *trees]) + "\n"
