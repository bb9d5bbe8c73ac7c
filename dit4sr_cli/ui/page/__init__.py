"""What is seen: the page's parts, each built once for a browser and then kept up to date."""

from dit4sr_cli.ui.page.view import draw

__all__ = ["draw"]
