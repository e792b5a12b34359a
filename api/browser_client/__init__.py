"""Serves cto-progress, the browser client: its modules, one bundled file, and an archive for npm."""
