"""What searched augmentation is measured on and by."""
