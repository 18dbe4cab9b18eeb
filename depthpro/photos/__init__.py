"""What files of photos hold beside plain pixels: metadata, HDR, deep colours; and albums."""
