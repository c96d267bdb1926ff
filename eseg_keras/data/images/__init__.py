"""Reading images, reading masks, and finding images in folders."""
