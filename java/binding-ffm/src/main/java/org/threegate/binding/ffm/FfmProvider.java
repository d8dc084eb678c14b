package org.threegate.binding.ffm;

import java.nio.file.Path;
import org.threegate.spi.BindingProvider;
import org.threegate.spi.KernelBinding;

/** The binding for JDK 22 and later. */
public final class FfmProvider implements BindingProvider {
  /** Creates a provider. {@link java.util.ServiceLoader} calls this. */
  public FfmProvider() {}

  @Override
  public String name() {
    return "ffm";
  }

  @Override
  public int preference() {
    return 2;
  }

  @Override
  public String shimResource() {
    return "";
  }

  @Override
  public KernelBinding load(Path directory) {
    Module module = FfmProvider.class.getModule();
    if (!module.isNativeAccessEnabled()) {
      throw new UnsatisfiedLinkError(
          "native access is denied; start java with --enable-native-access="
              + (module.isNamed() ? module.getName() : "ALL-UNNAMED"));
    }
    return new FfmBinding(DynamicLibrary.open(directory.resolve("libthreegate.so.1")));
  }
}
