"""What language-model agents are offered over the Model Context Protocol: tools that read."""

from opdex.mcp.server import Exchange, Server
from opdex.mcp.tools import make_tools

__all__ = ["Exchange", "Server", "make_tools"]
