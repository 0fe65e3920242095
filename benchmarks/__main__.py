from benchmarks import sandbox_load

if __name__ == "__main__":
    sandbox_load.main()
