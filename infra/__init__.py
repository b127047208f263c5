"""What the product stands on: settings, PostgreSQL, the outbox, embedded servers, observation. Knows no business."""
