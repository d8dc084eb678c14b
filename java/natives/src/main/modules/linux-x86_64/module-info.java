/** The native libraries for Linux on x86-64, as resources. */
module org.threegate.natives.linux.x86_64 {}
