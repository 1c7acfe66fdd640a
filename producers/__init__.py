"""What Krill installs: it captures requests and changes, masks them, and hands them to Kafka."""
