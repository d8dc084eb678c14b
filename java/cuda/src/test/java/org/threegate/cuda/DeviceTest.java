package org.threegate.cuda;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

/** A test on the emulated device. The build runs these once more, with that device. */
@Test
@Tag("device")
@EnabledIfEnvironmentVariable(named = "THREEGATE_CUDA_LIBRARY", matches = ".+")
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@interface DeviceTest {}
