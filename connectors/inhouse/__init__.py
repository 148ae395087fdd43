"""Systems of the group's own making: they speak the hub's canonical form."""
