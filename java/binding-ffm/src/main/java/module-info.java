/**
 * The binding through the foreign function interface, which {@code org.threegate.core} finds by
 * itself, and the use of memory segments as buffers. Java 17 reads this descriptor and skips the
 * provider.
 */
module org.threegate.binding.ffm {
  requires transitive org.threegate.core;

  exports org.threegate.binding.ffm;

  provides org.threegate.spi.BindingProvider with
      org.threegate.binding.ffm.FfmProvider;
}
