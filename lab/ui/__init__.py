"""What all pages share. Only this package, ``app.py`` and ``pages/`` import Streamlit; nothing here imports torch."""
