package org.threegate.binding.jni;

import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.threegate.testing.LoadingContract;

@DisabledIfSystemProperty(named = "threegate.binding", matches = "ffm")
class JniLoadingTest extends LoadingContract {}
