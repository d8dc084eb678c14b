/**
 * The binding through the foreign function interface. It exports nothing; {@code
 * org.threegate.core} finds its provider. Java 17 reads this descriptor and skips the provider.
 */
module org.threegate.binding.ffm {
  requires org.threegate.core;

  provides org.threegate.spi.BindingProvider with
      org.threegate.binding.ffm.FfmProvider;
}
