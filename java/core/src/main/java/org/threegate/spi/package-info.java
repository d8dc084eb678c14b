/** What a binding to the native library offers to the layers above. */
package org.threegate.spi;
