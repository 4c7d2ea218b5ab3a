"""Claims: every claim of the sources, what was measured of it and which ones hold."""

from lab.ui import claims_page

claims_page.show()
