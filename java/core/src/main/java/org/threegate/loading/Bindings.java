package org.threegate.loading;

import java.util.ArrayList;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import org.threegate.spi.BindingProvider;
import org.threegate.spi.Constants;
import org.threegate.spi.KernelBinding;

/**
 * Chooses and loads the binding, once per JVM: FFM if the JDK has it (22 and later), else JNI.
 * {@code -Dthreegate.binding=jni|ffm} forces one of them, without a fallback. If no binding can be
 * loaded, every later call fails with the same reasons.
 */
public final class Bindings {
  private static final String CHOICE_PROPERTY = "threegate.binding";
  private static final String JNI = "jni";
  private static final String FFM = "ffm";
  private static final int FFM_JDK = 22;

  /** The {@code TG_ABI_VERSION} of the header that this class was built with. */
  public static final int ABI_VERSION = Constants.ABI_VERSION;

  private Bindings() {}

  private record Outcome(KernelBinding binding, List<String> reasons, String libraries) {}

  private static final class Holder {
    static final Outcome OUTCOME = choose(System.getProperty(CHOICE_PROPERTY, ""));
  }

  /**
   * {@return the binding of this JVM}
   *
   * @throws UnsatisfiedLinkError if no binding can be loaded; the message has every reason
   */
  public static KernelBinding get() {
    KernelBinding binding = Holder.OUTCOME.binding();
    if (binding == null) {
      throw new UnsatisfiedLinkError(
          "no binding to the native library: " + String.join("; ", Holder.OUTCOME.reasons()));
    }
    return binding;
  }

  /** {@return why preferred bindings are not used; empty if the most preferred one is} */
  public static List<String> reasons() {
    return Holder.OUTCOME.reasons();
  }

  /** {@return where the libraries are and whether they were verified; "" without a binding} */
  public static String libraries() {
    return Holder.OUTCOME.libraries();
  }

  private static Outcome choose(String forced) {
    if (!forced.isEmpty() && !List.of(JNI, FFM).contains(forced)) {
      return new Outcome(
          null,
          List.of(
              "-D"
                  + CHOICE_PROPERTY
                  + "="
                  + forced
                  + ": there is no such binding; choose jni or ffm"),
          "");
    }
    List<BindingProvider> providers = new ArrayList<>();
    List<String> reasons = new ArrayList<>();
    var iterator =
        ServiceLoader.load(BindingProvider.class, Bindings.class.getClassLoader()).iterator();
    while (true) {
      try {
        if (!iterator.hasNext()) {
          break;
        }
        providers.add(iterator.next());
      } catch (ServiceConfigurationError | UnsupportedClassVersionError | NoClassDefFoundError e) {
        if (!isForNewerJdk(e)) {
          reasons.add(e.getMessage());
        }
      }
    }
    if (isWanted(FFM, forced) && Runtime.version().feature() < FFM_JDK) {
      reasons.add("ffm: needs JDK " + FFM_JDK + ", and this is JDK " + Runtime.version().feature());
    } else if (isWanted(FFM, forced) && isMissing(FFM, providers)) {
      reasons.add(missing(FFM));
    }
    List<BindingProvider> wanted = new ArrayList<>();
    for (BindingProvider provider : providers) {
      if (isWanted(provider.name(), forced)) {
        boolean best = wanted.isEmpty() || provider.preference() > wanted.get(0).preference();
        wanted.add(best ? 0 : wanted.size(), provider);
      }
    }
    if (!forced.isEmpty()) {
      reasons.add("-D" + CHOICE_PROPERTY + "=" + forced + " forces the choice");
    }
    for (BindingProvider provider : wanted) {
      try {
        NativeFiles files = NativeFiles.of(provider.getClass(), provider.shimResource());
        return new Outcome(load(provider, files), List.copyOf(reasons), files.state());
      } catch (LinkageError | IllegalCallerException e) {
        reasons.add(
            provider.name()
                + ": "
                + e.getMessage()
                + NativeFiles.hint(String.valueOf(e.getMessage())));
      }
    }
    if (isWanted(JNI, forced) && isMissing(JNI, providers)) {
      reasons.add(missing(JNI));
    }
    return new Outcome(null, List.copyOf(reasons), "");
  }

  /** Returns whether the FFM binding is there, but this JDK is too old for it. */
  private static boolean isForNewerJdk(Throwable e) {
    return e instanceof UnsupportedClassVersionError
        || e.getCause() instanceof UnsupportedClassVersionError;
  }

  private static String missing(String name) {
    return name + ": add org.threegate:threegate-binding-" + name + " to the class path";
  }

  private static boolean isWanted(String name, String forced) {
    return forced.isEmpty() || name.equals(forced);
  }

  private static boolean isMissing(String name, List<BindingProvider> providers) {
    for (BindingProvider provider : providers) {
      if (provider.name().equals(name)) {
        return false;
      }
    }
    return true;
  }

  private static KernelBinding load(BindingProvider provider, NativeFiles files) {
    KernelBinding binding = provider.load(files.directory());
    int version = binding.abiVersion();
    if (version != ABI_VERSION) {
      throw new UnsatisfiedLinkError(
          NativeFiles.LIBRARY + " has ABI version " + version + ", this jar needs " + ABI_VERSION);
    }
    files.verify(binding);
    return binding;
  }
}
