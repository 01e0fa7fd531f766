/* Placeholder of the command line; replaced as soon as there is something to serve. */
int main(void)
{
	return 2;
}
