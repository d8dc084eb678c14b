package org.threegate.binding.ffm;

import java.nio.file.Path;
import org.threegate.spi.BindingProvider;
import org.threegate.spi.KernelBinding;

/** The binding for JDK 22 and later. */
public final class FfmProvider implements BindingProvider {
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
    if (!FfmProvider.class.getModule().isNativeAccessEnabled()) {
      throw new UnsatisfiedLinkError(
          "native access is denied; start java with --enable-native-access=ALL-UNNAMED");
    }
    return new FfmBinding(DynamicLibrary.open(directory.resolve("libthreegate.so.1")));
  }
}
