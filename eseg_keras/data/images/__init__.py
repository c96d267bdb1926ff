"""The one reader of images, the one reader of masks and the one walker of folders."""
