package org.threegate.binding.jni;

import org.junit.jupiter.api.condition.DisabledIfEnvironmentVariable;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.threegate.testing.LoadingContract;

@DisabledIfSystemProperty(named = "threegate.binding", matches = "ffm")
@DisabledIfSystemProperty(named = "threegate.test.device", matches = "CUDA")
@DisabledIfEnvironmentVariable(named = "THREEGATE_SIMD", matches = ".+")
class JniLoadingTest extends LoadingContract {}
