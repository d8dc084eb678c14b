// The site: the Markdown pages of the repository, at the paths that they have there, so that links work on both.
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { slug } from 'github-slugger'
import { defineConfig } from 'vitepress'

const here = dirname(fileURLToPath(import.meta.url))
const root = resolve(here, '../..')
const output = resolve(root, 'target/site')

// VitePress takes links to other files for pages, unless their extensions are listed here.
process.env.VITE_EXTRA_EXTENSIONS = 'h,py,tsv,json,java'

const LINK = /\]\(([^)#\s]+)(#[^)\s]*)?\)/g

// Files that pages link to, such as the header, are part of the site.
function copyLinkedFiles(pages) {
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8').replace(/^```.*?^```/gms, '')
    for (const [, target] of text.matchAll(LINK)) {
      if (/^[a-z]+:/.test(target) || target.endsWith('.md')) continue
      const file = resolve(root, dirname(page), target)
      if (!existsSync(file) || statSync(file).isDirectory()) {
        throw new Error(`${page}: the link ${target} is not a file`)
      }
      const copy = join(output, relative(root, file))
      mkdirSync(dirname(copy), { recursive: true })
      copyFileSync(file, copy)
    }
  }
}

function copyMermaid() {
  const script = join(dirname(createRequire(import.meta.url).resolve('mermaid/package.json')), 'dist/mermaid.min.js')
  copyFileSync(script, join(output, 'assets/mermaid.min.js'))
}

// A mermaid block becomes a component that draws it; without scripts its text is shown.
function drawMermaid(md) {
  const fence = md.renderer.rules.fence
  md.renderer.rules.fence = (tokens, index, ...rest) => {
    const token = tokens[index]
    if (token.info.trim() !== 'mermaid') return fence(tokens, index, ...rest)
    return `<Mermaid code="${encodeURIComponent(token.content)}"></Mermaid>\n`
  }
}

// Pages outside of docs/ import Vue, too, which lies in docs/node_modules.
const resolvePackages = {
  name: 'threegate-packages',
  enforce: 'pre',
  resolveId(source, importer, options) {
    if (!/^vue($|\/)/.test(source) || !importer?.endsWith('.md')) return null
    return this.resolve(source, join(here, 'config.mjs'), { ...options, skipSelf: true })
  },
}

const page = (text, link) => ({ text, link: link === '/' ? link : `/docs/${link}` })

export default defineConfig({
  title: 'Threegate',
  description: 'Measure how fine-tuning changes the weights of a language model',
  lang: 'en',
  base: process.env.THREEGATE_DOCS_BASE || '/',
  srcDir: root,
  outDir: output,
  srcExclude: ['bindings/**', 'java/**', 'native/**', 'target/**', 'shared/**', '.github/**', 'docs/node_modules/**'],
  rewrites: { 'README.md': 'index.md' },
  vite: { logLevel: 'warn', plugins: [resolvePackages] },
  markdown: {
    anchor: { slugify: (text) => slug(text) },
    config: drawMermaid,
  },
  buildEnd(site) {
    copyLinkedFiles(site.pages.map((name) => (name === 'index.md' ? 'README.md' : name)))
    copyMermaid()
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [page('Getting started', 'getting-started'), page('Concepts', 'concepts'), page('Glossary', 'glossary')],
    sidebar: [
      {
        text: 'Introduction',
        items: [
          page('Overview', '/'),
          page('Getting started', 'getting-started'),
          page('Concepts', 'concepts'),
          page('FAQ', 'faq'),
          page('Versions', 'versions'),
        ],
      },
      {
        text: 'Tasks',
        items: [
          page('Comparing', 'comparing'),
          page('Calibration', 'calibration'),
          page('Consensus and trajectories', 'consensus'),
          page('Masks', 'masks'),
          page('Interventions', 'interventions'),
          page('Curvature', 'curvature'),
          page('Training', 'training'),
          page('Coming from TRL or verl', 'coming-from-trl'),
          page('Verifier', 'verifier'),
          page('Patches', 'patches'),
          page('Apache Spark', 'spark'),
          page('Study', 'study'),
          page('Embedding', 'embedding'),
          page('Python', 'python'),
        ],
      },
      {
        text: 'Reference',
        items: [page('Metrics', 'metrics'), page('Model families', 'families'), page('Glossary', 'glossary'), page('Performance', 'performance')],
      },
      {
        text: 'Development',
        items: [
          page('Architecture', 'architecture'),
          page('Decisions', 'decisions/README'),
          { text: 'Contributing', link: '/CONTRIBUTING' },
          { text: 'Security', link: '/SECURITY' },
          { text: 'Changelog', link: '/CHANGELOG' },
        ],
      },
    ],
  },
})
