"""Running one operation. Knows neither the store nor Celery."""
