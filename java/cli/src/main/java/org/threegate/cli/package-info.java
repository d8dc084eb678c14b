/** The command line. */
package org.threegate.cli;
