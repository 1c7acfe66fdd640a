"""The worker: Kafka batches are validated, normalised, masked and stored in ClickHouse; what fails is a dead letter."""
