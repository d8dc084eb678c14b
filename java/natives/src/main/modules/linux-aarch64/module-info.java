/** The native libraries for Linux on AArch64, as resources. */
module org.threegate.natives.linux.aarch64 {}
