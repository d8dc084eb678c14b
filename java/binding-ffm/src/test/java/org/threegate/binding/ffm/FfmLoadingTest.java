package org.threegate.binding.ffm;

import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.threegate.testing.LoadingContract;

@DisabledIfSystemProperty(named = "threegate.binding", matches = "jni")
class FfmLoadingTest extends LoadingContract {}
