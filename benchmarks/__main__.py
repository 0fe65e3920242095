from benchmarks import durable, sandbox_load

if __name__ == "__main__":
    sandbox_load.main()
    durable.main()
