"""`make docs`: writes the pages that are made from the code."""

from docs.pages.writing import write_pages

if __name__ == "__main__":
    write_pages()
