"""Where the hub meets the world: web, worker, scheduler, command line, embedded servers."""
