/** Helpers for the tests of all modules. */
package org.threegate.testing;
