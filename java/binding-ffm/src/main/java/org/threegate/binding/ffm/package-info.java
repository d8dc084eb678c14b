/** The binding through the foreign function interface. It contains declarations only. */
package org.threegate.binding.ffm;
