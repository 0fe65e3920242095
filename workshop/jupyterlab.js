// What JupyterLab does for a learner beside what it does for all. It is an extension without a build: JupyterLab loads
// this file as it would load one that webpack has made, and asks it for "./extension".
(() => {
  const style = document.createElement("style");
  style.textContent = `
    /* A lesson, its lab and its solution are files of the same name: their tabs say which is which. */
    .lm-TabBar-tab[title*="Path: notebooks/"] .lm-TabBar-tabLabel::before { content: "Lesson "; }
    .lm-TabBar-tab[title*="Path: labs/"] .lm-TabBar-tabLabel::before { content: "Lab "; }
    .lm-TabBar-tab[title*="Path: solutions/"] .lm-TabBar-tabLabel::before { content: "Solution "; }
    /* What a check says breaks at words, and within one only where it is wider than the page. */
    .jp-OutputArea .jp-RenderedText pre { word-break: normal; overflow-wrap: anywhere; }
    /* Comments say what a learner has to do. In the dark theme they are dim: this is the colour of its high-contrast twin. */
    [data-jp-theme-name="JupyterLab Dark"] { --jp-mirror-editor-comment-color: #56acac; }
    /* A diagram keeps the colours of the theme in which it was drawn, so it keeps the ground of that theme, too. */
    [data-jp-theme-light="false"] .jp-RenderedMermaid[data-drawn-light="true"] { background: white; color: black; }
    [data-jp-theme-light="true"] .jp-RenderedMermaid[data-drawn-light="false"] { background: #111111; color: white; }
  `;

  const failed = cell =>
    cell.model.type === "code" &&
    !(cell.model.getMetadata("tags") || []).includes("raises-exception") &&
    cell.model.sharedModel.getOutputs().some(output => output.output_type === "error");

  const plugin = {
    id: "stop-polling:plugin",
    autoStart: true,
    activate: app => {
      document.head.append(style);
      let light = document.body.dataset.jpThemeLight;
      new MutationObserver(() => {
        const drawn = document.querySelectorAll(".jp-RenderedMermaid:not([data-drawn-light])");
        drawn.forEach(diagram => (diagram.dataset.drawnLight = light));
        light = document.body.dataset.jpThemeLight;
      }).observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
      // JupyterLab goes to the last cell when all were run, also where it has stopped long before it.
      app.commands.commandExecuted.connect((_, { id, result }) => {
        if (!/^(notebook:run-all-cells|runmenu:run-all|runmenu:restart-and-run-all|notebook:restart-run-all)$/.test(id)) return;
        result.catch(() => {}).then(() => {
          const notebook = app.shell.currentWidget && app.shell.currentWidget.content;
          const stopped = notebook && notebook.widgets ? notebook.widgets.findIndex(failed) : -1;
          if (stopped < 0) return;
          notebook.deselectAll();
          notebook.activeCellIndex = stopped;
          notebook.scrollToItem(stopped, "center");
        });
      });
      // A link to a word of another notebook: JupyterLab looks for the word before it has drawn that notebook.
      app.commands.commandExecuted.connect((_, { id, args, result }) => {
        if (id !== "rendermime:handle-local-link" || !args.id) return;
        const place = `[data-jupyter-id="${CSS.escape(args.id.slice(1))}"]`;
        const gaveUp = Date.now() + 30000;
        const go = () => {
          const panel = app.shell.currentWidget;
          const drawn = panel && panel.context && panel.context.path === args.path && panel.node.querySelector(place);
          if (drawn && [...panel.node.querySelectorAll("img")].every(image => image.complete)) panel.setFragment(args.id);
          else if (Date.now() < gaveUp) setTimeout(go, 50);
        };
        result.then(go, () => {});
      });
    },
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["stop-polling"] = {
    init: () => {},
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();
