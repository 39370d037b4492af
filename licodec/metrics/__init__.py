"""Objective quality: PSNR, SSIM, MS-SSIM, BD-rate, and pictures of them."""
