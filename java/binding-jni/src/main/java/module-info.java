/** The binding through JNI. It exports nothing; {@code org.threegate.core} finds its provider. */
module org.threegate.binding.jni {
  requires org.threegate.core;
  requires org.bytedeco.javacpp;

  // org.threegate.core unpacks the shim, which is a resource of this package.
  opens org.threegate.binding.jni;

  provides org.threegate.spi.BindingProvider with
      org.threegate.binding.jni.JniProvider;
}
