// Package describe says what is to be shown of the things that the API answers with, for ctl and top alike.
package describe
