/** The kernels for CUDA 13 on Linux and x86-64, as resources. */
module org.threegate.natives.linux.x86_64.cuda13 {}
