"""One run of one operation. Independent of the store and of Celery."""
