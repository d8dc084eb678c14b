/**
 * All that a program needs to call the kernels: the API of {@code org.threegate.core}, both
 * bindings and the native libraries.
 */
module org.threegate {
  requires transitive org.threegate.core;
  requires org.threegate.binding.jni;
  requires org.threegate.binding.ffm;
  requires org.threegate.natives.linux.x86_64;
}
