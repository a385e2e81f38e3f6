"""The local stand-in cloud, the program deployed into it, and the commands `demo` and `serve`."""
