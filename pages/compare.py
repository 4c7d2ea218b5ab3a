"""Compare: runs of one experiment side by side, wherever they were made."""

from lab.ui import compare_page

compare_page.show()
