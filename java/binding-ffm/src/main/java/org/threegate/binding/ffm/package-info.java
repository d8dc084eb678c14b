/** The binding through the foreign function interface. Declarations only. */
package org.threegate.binding.ffm;
