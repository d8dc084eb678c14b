/** The commands of the {@code threegate} program. */
package org.threegate.cli;
