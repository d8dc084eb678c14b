package org.threegate.binding.ffm;

import org.junit.jupiter.api.condition.DisabledIfEnvironmentVariable;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.threegate.testing.LoadingContract;

@DisabledIfSystemProperty(named = "threegate.binding", matches = "jni")
@DisabledIfSystemProperty(named = "threegate.test.device", matches = "CUDA")
@DisabledIfEnvironmentVariable(named = "THREEGATE_SIMD", matches = ".+")
class FfmLoadingTest extends LoadingContract {
  @Override
  protected String binding() {
    return "ffm";
  }
}
