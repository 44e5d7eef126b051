// Package config holds every setting of a program on Paidui and reads them from, in rising order of precedence: the
// defaults, a YAML file (--config), the environment and the command line.
//
// A setting is one field of Config, or of the struct of the application's own settings, which a Schema puts beside it.
// Its tags give all that is to know; the help, the flags, the parsing and the validation are made from them:
//
//	env       the variable, in capitals; a field without it is no setting
//	yaml      the key in the file; the variable's name in lower case, without PAIDUI_, when left out
//	default   the value where no source gives one; {name} in it is the program's name
//	defaults  where that differs: "program=value", separated by spaces
//	in        the programs that use it, separated by spaces; all when left out. local uses every setting
//	help      what it is, in one line
//	range     "least..most" of an int or a time.Duration
//	oneof     "a|b": the texts that are allowed; someof: one or several of them, with commas between
//	form      what a text has to be: redis, database or web (an http:// or https:// URL), or what Checks has
//	bytes     how long a Secret is at least; it is then held to be hard to guess, too
//	required  the programs that do not start without it, separated by spaces
//	file      "own": of a Secret that is not read from a file of one line; NAME_FILE is then a setting by itself, if any
//	none      "true": set to nothing it is nothing. Of other settings an empty value means the default
//	flag      "long" or "long,s" gives it a flag
//
// A field is a bool, an int, a string, a time.Duration, a Secret, a URL, a List, or has UnmarshalText and String. One with a
// method Reveal can also be read from a file: PAIDUI_OPERATOR_KEY_FILE names it. What the tags cannot say, Checker does.
//
// schema.go has all settings of a program, load.go reads them, validate.go checks them; the other files are the sources and
// the types of values.
package config
