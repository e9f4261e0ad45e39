"""The figures that README quotes, each measured on this machine against its goal."""
