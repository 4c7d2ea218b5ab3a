"""Device: what the lab found on this machine, and its calibration."""

from lab.ui import device_page

device_page.show()
