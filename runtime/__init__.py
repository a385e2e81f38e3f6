"""What runs in the cloud, and the operator's command line. It never imports pulumi."""
